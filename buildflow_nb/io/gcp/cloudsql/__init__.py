"""Cloud SQL: instances of Postgres, their databases and users."""
