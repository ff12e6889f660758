"""The speed of the simulation of a peak, and its predictions beside a real small service."""
