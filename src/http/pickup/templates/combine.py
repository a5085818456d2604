python3 -c 'import sys,base64,hmac
m,p=[t.split(".") for t in sys.stdin.read().split()]; a,b=[base64.urlsafe_b64decode(t[4]+"==") for t in (m,p)]
s=bytes(x^y for x,y in zip(a,b)); print(s.decode()); print(hmac.new(s,b"tallyd confirm v1\n"+m[1].encode(),"sha256").hexdigest())'