"""Planning: how many hosts services need, by packing what was measured, with proof."""
