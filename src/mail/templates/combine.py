import sys,base64,hmac
m,p=[base64.urlsafe_b64decode(t.split(".")[4]+"==") for t in sys.stdin.read().split()]
s=bytes(a^b for a,b in zip(m,p));print(s.decode())
print(hmac.new(s,b"tallyd confirm v1\n{{ v.mail.reference.plain() }}","sha256").hexdigest())