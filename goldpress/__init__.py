"""Golden images as values: pinned packages in, one verified, promotable disk out."""
