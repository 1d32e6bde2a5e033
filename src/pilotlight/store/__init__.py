"""Model ref → verified bytes on this node; begin at `store.store.Store`."""
