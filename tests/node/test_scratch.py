def test_it(provider, asker, twin):
    import time
    t=time.time()
    r = asker.query(fields=["name","phone","status"])
    got = provider.send(r)
    print(got, asker.judged(r, got), time.time()-t)
    r = asker.verify(); got = provider.send(r); print(got.said)
    r = asker.match(); got = provider.send(r); print(got)
    for r in (asker.query(), asker.verify(), asker.match()):
        got = twin.send(r); print(got.status)
    assert 0
