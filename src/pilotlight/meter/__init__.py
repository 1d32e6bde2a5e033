"""How much electricity this machine draws, by whoever knows: NVML, RAPL, or an estimate."""
