"""Methods that tell a sample's views from other samples."""
