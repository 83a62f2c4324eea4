"""How a change goes through the replicas of a deployment."""
