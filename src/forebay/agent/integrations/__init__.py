"""One module for each server library; it imports that library, the rest of the agent does not."""
