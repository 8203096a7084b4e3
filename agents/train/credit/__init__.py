"""The study of credit: which estimator of advantages sees what a turn was worth?"""
