"""The dashboard: one server-rendered page, its charts and its assets. No build step, no address outside this service at run time."""
