"""The SQL of sets of jobs, beside the streams, among which are all that a list may show."""

OF_NUMBERS = "SELECT value AS job_id, 0 AS due_at FROM json_each(:ids)"

OF_FEW = """
SELECT id AS job_id, scheduled_at AS due_at FROM jobs
WHERE id IN (SELECT job_id FROM ({source})) {behind}
"""
OF_TAG = "SELECT job_id, 0 AS due_at FROM job_tags WHERE tag = :tag {behind}"
OF_SCHEDULE = """
SELECT id AS job_id, 0 AS due_at FROM jobs INDEXED BY jobs_by_schedule
WHERE schedule_id = :schedule_id AND schedule_id IS NOT NULL {behind}
"""
OF_REPORTS = """
SELECT id AS job_id, 0 AS due_at FROM jobs INDEXED BY jobs_by_parent
WHERE parent_id = :reports_of AND parent_id IS NOT NULL {behind}
"""
IDS_OF_TAG = "SELECT job_id FROM job_tags WHERE tag = :tag"
IDS_OF_SCHEDULE = """
SELECT id AS job_id FROM jobs INDEXED BY jobs_by_schedule
WHERE schedule_id = :schedule_id AND schedule_id IS NOT NULL
"""

IDS_OF_REPORTS = """
SELECT id AS job_id FROM jobs INDEXED BY jobs_by_parent
WHERE parent_id = :reports_of AND parent_id IS NOT NULL
"""
