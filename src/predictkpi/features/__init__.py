"""Pure feature builders: snapshot tables in, feature frame out."""
