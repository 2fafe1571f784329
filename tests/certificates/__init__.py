"""Tests of the judgement of chains, with the authority and the catalogue that they share."""
