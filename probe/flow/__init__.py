"""API flows: steps in order, with logins, expectations, captures and evidence."""
