"""Everything that a configuration names, loaded and checked together: what `authswitch check` tells."""
