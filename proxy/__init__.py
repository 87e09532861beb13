"""Forward model calls to the providers. To remove the feature, delete this package and its line in app.py."""
