"""Single messages that others ask for: bait mails, notices to staff, requests by API."""
