"""The dashboard: pages over the API's own operations, for a browser without a build step.

To add a page:

1. Write a module with its handlers, such as `jobs.py`. A handler takes a `Visit` and returns a
   response: `visit.page("jobs.html", title="Jobs", …)`, or `visit.redirect("/jobs/7", "cancelled")`
   after a change. All data comes from `visit.get("/api/…", query)`, all changes go through
   `visit.send("POST", "/api/…", body)`: permissions, checks and error texts are those of the API.
   Both raise what the API refuses; the dashboard makes a page of it.
2. List them in the module's `PAGES`, each with the `Access` that it needs, and the module in
   `application.py`. A change is a POST of a plain form; nothing needs a script.
3. Write its template in `templates/`. It extends `layout.html` and takes times, states, tables,
   forms and paging from `macros.html`. Every link is `link("/jobs", state="discarded")`, so that it
   works under a mount. Style belongs into `static/booper.css`: the policy allows no `style=`.
4. Notices after a change are in `notices.py`. Entries of the menu are in `menu.py`.
5. Add the page to the tables in `tests/dashboard/test_access.py` and `tests/browser/pages.py`. A
   change goes into `tests/dashboard/test_access_changes.py` and `tests/browser/walk.py` as well.
   All four must be complete.
"""
