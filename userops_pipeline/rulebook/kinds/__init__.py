"""The kinds of rules by subject: what may be declared of each, and how one reads in a line; each subject's checks have the same name in `checks`.

Add a kind in the file of its subject, its file and table in `places`, its field in `book`, and its line in `answers.list_rules`.
Must not judge a rule, nor know where it stands.
"""
