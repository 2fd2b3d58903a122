"""The web page and the JSON API: the questions of `insights`, asked by people and by programs."""
