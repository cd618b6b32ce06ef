"""A Model2Vec model as its files hold it, read and checked."""
