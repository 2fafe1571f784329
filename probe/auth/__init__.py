"""How a call shows who it is: credentials per request, and tokens from logins.

What to send and what a response means is decided here without I/O. Only `tokens.RefreshTokens`
reads and writes files. Sending is the flow's business.
"""
