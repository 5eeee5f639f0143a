"""Names, periods, schemas and types that every other module speaks. Pure, and imports nothing above `errors`."""
