"""Who may ask whom: envelope, grant, ticket, directory, receipt, batch bytes."""
