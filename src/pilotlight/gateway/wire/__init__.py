"""What goes over the wire: fields checked, errors rendered, streams framed; no I/O."""
