"""HTTP/1.1 to targets: how a request travels and how its response is read.

`base` has the protocol that senders share, `Client`. `client` sends over sockets (`connecting`,
`pool`, `connection`, `request`, `response`), `asgi` to an application in this process, `adapter`
over any transport of httpx. The room knows nothing of jobs, of the guard, or of retries.
"""
