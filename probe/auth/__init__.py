"""How a call shows who it is: credentials per request, and tokens from logins.

Everything here but `store` and `rotation` is pure: what to send, and what an answer means.
Sending is the flow's business.
"""
