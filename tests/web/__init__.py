"""What an app's page may do and sees: the security rules, and a real browser with the Firebase JS SDK."""
