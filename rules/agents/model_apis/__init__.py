"""Read model API requests and responses as events.

Each API module has a function `read_request(headers, body)` that returns a Request, and a class `Response`.
"""
