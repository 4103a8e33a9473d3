"""The straight line of an image: received, dispatched, recorded, archived."""
