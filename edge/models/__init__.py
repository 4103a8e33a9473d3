"""Model bundles: verified, signed, stored, transferred."""
