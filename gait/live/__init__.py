"""People in a live picture: masks, tracks and windows of aligned silhouettes. A bundle ships these modules as they are."""
