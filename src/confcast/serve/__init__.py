"""`confcast serve`: a config owner without a server's master, to which the processes of one host attach.

`serving.py` is the process, and says what a plug-in is; `address_link.py` its lasting address. The command line is
`cli/serve.py`.
"""
