"""`confcast admin`: the remote API and the page, in a client process of this user's owners; needs the extra `admin`."""
