"""Nodes that help each other to a file; begin at `peers.company.Peers`."""
