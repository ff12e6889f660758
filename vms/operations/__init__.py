"""Operations on machines: snapshots, hotplug, clones, migration, statistics and more."""
