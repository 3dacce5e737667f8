"""Which known name an unknown one stands for: another spelling of it, a synonym, or a typo.

The synonyms are what other schedulers, queues and HTTP clients call the same thing.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

# Longer names are no typo, and comparing them takes time.
MAX_NAME_CHARACTERS: Final = 40
# Below this, names that share letters but no meaning are near each other: run_at and ends_at.
MIN_LIKENESS: Final = 0.75

# What is meant → how it is called elsewhere, in small letters without separators.
_CALLED: Final[Mapping[str, str]] = {
    "scheduled_at": "at on when time date datetime timestamp eta due dueat duedate runat rundate"
    " runtime runon notbefore scheduledfor scheduledtime scheduletime scheduledate scheduledon"
    " executeat executiontime fireat sendat deliverat publishat postat triggerat enqueueat",
    "schedule_in": "delay delayseconds delayms in wait after countdown runin runafter executein"
    " sendin startin seconds minutes delayfor enqueuein waitseconds",
    "repeat_every": "every interval repeat repeats recurring period frequency freq rate"
    " repeatinterval intervalseconds runevery everyseconds schedule rrule",
    "cron": "schedule crontab cronexpression cronschedule cronstring croninput cronexpr pattern"
    " scheduleexpression rrule expression trigger",
    "body": "payload data json content message kwargs args form formdata requestbody postdata input"
    " text jsonbody httpbody rawbody",
    "query": "params qs queryparams querystring queryparameters parameters search urlparams args",
    "url": "endpoint target uri href link address destination host path requesturl targeturl"
    " httpurl to callurl fetchurl urls",
    "method": "verb httpmethod requestmethod httpverb type action",
    "headers": "header httpheaders requestheaders authorization auth bearer token contenttype"
    " cookie cookies useragent customheaders",
    "max_attempts": "retries retry attempts maxretries maxretry retrycount retrylimit tries"
    " maxtries numretries maximumretryattempts retryattempts retrymax",
    "backoff": "retrydelay retrydelays retryafter retrybackoff retryinterval retryintervals"
    " retrywait retrypolicy retryconfig backoffdelay backofftype",
    "timeout": "deadline timeoutseconds timeoutms attemptdeadline dispatchdeadline requesttimeout"
    " httptimeout maxduration reservefor",
    "timezone": "tz tzinfo zone scheduletimezone scheduleexpressiontimezone crontimezone iana",
    "starts_at": "start startat startdate starttime starts begin begins beginat from validfrom"
    " firstrun",
    "ends_at": "end endat enddate endtime ends until expires expiresat expiry expiration validuntil"
    " stopat lastrun",
    "max_runs": "count limit repeatcount times repeatlimit maxexecutions occurrences runs"
    " repetitions maxcount iterations",
    "overlap": "concurrencypolicy maxinstances overlappolicy concurrency allowoverlap singleton"
    " withoutoverlapping",
    "misfire": "misfiregracetime coalesce catchup catchupwindow startingdeadlineseconds"
    " misfirepolicy misfireinstruction backfill",
    "idempotency_key": "key unique uniquekey uniqueid dedupid dedupkey dedupekey deduplicationid"
    " deduplicationkey jobid jobkey id externalid taskid taskname messageid idempotent requestid",
    "idempotency_ttl": "uniquefor dedupwindow deduplicationwindow ttl uniqueperiod",
    "keep_for": "retention ttlafterfinished ttlsecondsafterfinished removeoncomplete removeonfail"
    " keepresult resultttl failurettl historylimit retentionperiod deleteafter",
    "on_conflict": "replace replaceexisting ifexists conflict upsert ifconflict onduplicate",
    "tags": "tag labels label queue group groups category",
    "tag": "tags label labels",
    "name": "title jobname taskname label",
    "description": "comment comments note notes desc",
    "callback_url": "callback oncomplete oncompletion onsuccess onfailure onfinish failurecallback"
    " successcallback callbackuri resulturl notifyurl",
    "webhook_url": "webhook webhooks eventsurl events notify notifications notificationurl hook",
    "follow_redirects": "redirects redirect allowredirects maxredirects followredirect",
    "expect_status": "status successcodes successstatus expectedstatus statuscodes statuscode"
    " okstatus validstatus",
    "jitter": "randomdelay splay flexibletimewindow randomizeddelay randomizeddelaysec randomize",
    "metadata": "meta includemetadata",
    # Lists, filters, and the other bodies.
    "limit": "perpage pagesize count size top max maxresults first take n",
    "offset": "page skip start from",
    "order_by": "sort order orderby sortby ordering direction",
    "cursor": "nextcursor startingafter pagetoken nextpagetoken next continue after",
    "state": "status states",
    "url_prefix": "url host target endpoint prefix",
    "text": "q query search contains find match term name",
    "after": "since from start newerthan fromdate",
    "before": "until to end olderthan todate",
    "schedule_id": "schedule scheduleid",
    "job_id": "job id jobid",
    "event": "type eventtype kind",
    "filter": "where match query",
    "dry_run": "preview test validate simulate check validateonly whatif",
    "atomic": "transaction transactional allornothing",
    "jobs": "items requests batch messages data",
    "host": "hostname domain name address bind listen target url interface",
    "scope": "role permission permissions access",
    "user": "username owner account",
    "channel": "room topic",
    "author": "username user from sender",
    "content": "message text body",
    "advance": "by forward step duration",
    "to": "time at until when",
    "freeze": "pause stop frozen",
    # Settings.
    "path": "file filename database db location",
    "port": "listenport",
    "public_url": "url baseurl externalurl rooturl publicurl siteurl rootpath prefix",
    "trusted_proxies": "proxies forwardedallowips trustproxy trustedproxies realip",
    "timeout_seconds": "timeout",
    "grace_seconds": "grace gracetimeout shutdowntimeout gracefultimeout",
    "per_host": "perdomain hostconcurrency maxperhost perorigin",
    "slots": "perhost concurrency maxconcurrency perorigin connections limit",
    "proxy": "httpproxy httpsproxy proxyurl",
    "proxy_resolves": "proxydns remotedns proxyresolve",
    "ca": "cafile cabundle cacert cacerts cacertfile capath rootca",
    "cert": "certfile clientcert certificate clientcertificate tlscert",
    "verify": "tlsverify sslverify insecure skipverify verifyssl insecureskipverify",
    "cors_origins": "cors corsorigins allowedorigins alloworigins corsallowedorigins",
    "concurrency": "workers threads maxconcurrency maxinflight parallel parallelism",
    "rate_limit": "ratelimiting rps requestspersecond",
    "key": "apikey token keyfile clientkey tlskey privatekey",
    "allow": "allowlist whitelist allowed allowhosts",
    "allow_private_networks": "allowprivate private allowlocal allowlocalhost",
    "require_https": "https httpsonly allowhttp",
    "secret": "secrets signingsecret webhooksecret",
    "durability": "synchronous sync",
}
_MEANT: Final[dict[str, list[str]]] = {}
for _name, _others in _CALLED.items():
    for _other in _others.split():
        _MEANT.setdefault(_other, []).append(_name)


def suggestions(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that an unknown one may stand for; none if nothing is near."""
    if len(name) > MAX_NAME_CHARACTERS:
        return []
    names = tuple(known)
    plain = _plain(name)
    if same := [each for each in names if _plain(each) == plain]:
        return same
    if meant := [each for each in _MEANT.get(plain, ()) if each in names]:
        return meant
    return get_close_matches(name.lower(), names, n=1, cutoff=MIN_LIKENESS)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the question which known names are meant, None if nothing is near."""
    *others, last = [repr(each) for each in suggestions(name, known)] or [""]
    if not last:
        return None
    return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"


def _plain(name: str) -> str:
    """Return a name without letter case and separators."""
    return "".join(character for character in name.lower() if character.isalnum())
