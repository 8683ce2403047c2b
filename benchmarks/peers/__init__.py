"""One adapter a competitor; each raises ``Unavailable`` where its package is not installed."""
