"""How a report looks: light and dark, on a phone and on paper.

The eight colours are far apart in lightness or hue for the common kinds of colour blindness, and
have a contrast of at least 3 to 1 with the paper; shapes and dashes say the same without colour.
"""

from __future__ import annotations

LIGHT = ("#0067a5", "#c2410c", "#00794f", "#8f4a9e", "#8a6500", "#0b7285", "#b3174e", "#4b5563")
DARK = ("#5fb3f0", "#fb923c", "#4ade9f", "#d29be0", "#e6c34d", "#4fd1e0", "#fb7a9a", "#b6bec8")
PAPER, DARK_PAPER = "#ffffff", "#14171a"


def style() -> str:
    """The whole sheet on one line."""
    return _sheet().replace("\n", "")


def _colours(colours: tuple[str, ...]) -> str:
    return ";".join(f"--c{at}:{colour}" for at, colour in enumerate(colours))


def _looks() -> str:
    return "".join(f".s{at}{{--c:var(--c{at})}}" for at in range(len(LIGHT)))


def _sheet() -> str:
    return (
        f":root{{color-scheme:light dark;--ink:#1b1f24;--paper:{PAPER};--dim:#5b6470;"
        f"--rule:#d8dce2;--soft:#f3f5f7;--warn:#9a3412;{_colours(LIGHT)}}}"
        "@media screen and (prefers-color-scheme:dark){:root{--ink:#e6e8eb;"
        f"--paper:{DARK_PAPER};--dim:#9aa3ad;--rule:#333a42;--soft:#1d2227;--warn:#fdba74;"
        f"{_colours(DARK)}}}}}{_RULES}{_looks()}{_PRINT}"
    )


_RULES = """
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:76rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .3rem}
h2{font-size:1.15rem;margin:2.4rem 0 .4rem}
h3{font-size:1rem;margin:1.4rem 0 .2rem}
p.note,caption{color:var(--dim);margin:.1rem 0 .6rem;text-align:left;font-size:.88rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{text-align:left;padding:.3rem 1rem .3rem 0;border-bottom:1px solid var(--rule);
white-space:nowrap;vertical-align:top}
thead th{color:var(--dim);font-weight:500}tbody th{font-weight:500}
td.long,th.long{white-space:normal;min-width:18rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));
gap:.4rem 1.5rem;margin:.4rem 0}
dt{color:var(--dim);font-size:.85rem}dd{margin:0}
dl.cards{grid-template-columns:repeat(auto-fill,minmax(min(100%,9.5rem),1fr));gap:.7rem}
.cards>div{background:var(--soft);border-radius:.4rem;padding:.6rem .8rem}
.cards b{font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums;display:block}
.cards small{color:var(--dim)}
ul.warn{border-left:3px solid var(--warn);margin:.8rem 0;padding:.2rem 0 .2rem 1.6rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));
gap:1.4rem 2rem;align-items:start}
figure{margin:.6rem 0;min-width:0}figcaption{font-weight:600}
figure.wide{grid-column:1/-1}
svg{display:block;width:100%;max-width:600px;height:auto}
svg.wide{max-width:none;min-width:38rem}
svg text{font:12px system-ui,sans-serif;fill:var(--dim);paint-order:stroke;stroke:var(--paper);
stroke-width:3px;stroke-linejoin:round}
svg text.name,svg text.figure{fill:var(--ink)}svg text.limit{fill:var(--warn)}
svg text.figure{font-variant-numeric:tabular-nums}
.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}
.d1{stroke-dasharray:7 3}.d2{stroke-dasharray:2 3}.d3{stroke-dasharray:9 3 2 3}
.mark{fill:var(--c);stroke:var(--paper);stroke-width:1}
.whisker{stroke:var(--c);stroke-width:1.5}.median{stroke:var(--c);stroke-width:2.5}
.box{fill:var(--c);fill-opacity:.25;stroke:var(--c);stroke-width:1.2}
.bar{fill:var(--c)}.pale{fill:var(--c);fill-opacity:.35}
.hollow{fill:none;stroke:var(--c);stroke-width:1.5;stroke-dasharray:4 2}
.error{stroke:var(--ink);stroke-width:1.5}
line.limit{stroke:var(--warn);stroke-width:1.5;stroke-dasharray:5 4}
.area{fill:var(--c);fill-opacity:.75}
.block{fill:transparent}.block.odd{fill:var(--soft)}
.apart{fill:var(--dim);fill-opacity:.16}.cold{fill:var(--c1);fill-opacity:.35}
.error-mark{stroke:var(--warn);stroke-width:1.8;fill:none}
ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.3rem 0 0;padding:0;
font-size:.85rem}
ul.legend li{display:flex;align-items:center;gap:.4rem}
ul.legend svg{width:26px;height:10px;flex:none}
summary{cursor:pointer;color:var(--dim);margin-top:.6rem}
footer{color:var(--dim);margin-top:3rem;font-size:.88rem}
"""

_PRINT = """
@media print{html{font-size:10px}body{max-width:none;margin:0;font-size:1rem}
th,td{white-space:normal;padding-right:.5rem}td.long,th.long{min-width:0}
figure,tr,.cards>div{break-inside:avoid}h2{break-after:avoid}
.scroll{overflow:visible}svg.wide{min-width:0}
details::details-content{content-visibility:visible;block-size:auto}}
"""
