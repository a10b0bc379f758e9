"""Documents that pyoci writes about itself: features, and the template of a config."""
