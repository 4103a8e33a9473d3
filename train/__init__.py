"""mammo-edge's training side: mammograms in, a measured and exported model bundle out."""
