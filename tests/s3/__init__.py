"""Raw clips that lie in a bucket, on a real S3 server that lives on this machine while tests run.

`make test-s3` sets up what it needs and takes down what it starts. The server is moto's, with a
proxy before it that refuses, loses and cuts off objects.
"""
