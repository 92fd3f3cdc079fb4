"""Storyboard cards: type, picture and tone of one scene, made into a real clip. The door is `card.py`."""
