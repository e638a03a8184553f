"""What a helpdesk's export consists of: tickets over time, their mails, pages with lists beside them."""
