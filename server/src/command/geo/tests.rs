//! Sessions of places, as a Redis server answers them.
