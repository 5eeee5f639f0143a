"""What is each customer worth."""
