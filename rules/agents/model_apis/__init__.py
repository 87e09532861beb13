"""The model APIs: requests and responses, read as events.

Each API is a module with a function `read_request(headers, body)`, which returns a Request, and a class `Response`.
"""
