"""The JSON of the contract, pure: what users and targets read.

`job`, `schedule`, `key` and `log` have the resources that the API shows. `request` builds what a
target receives; `payload` shows requests and outcomes to the log and to `report`, the bodies of
callbacks and webhook events; `discord` has the body of a channel's message. `timestamps`,
`charset` and `redaction` have what these share.
"""
