"""What the stage report makes of records: the page, pictures and tables."""
